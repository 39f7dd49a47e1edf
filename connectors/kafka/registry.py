"""The codec of the configured framing: Confluent's when there is a Schema Registry, else Avro's own."""

from streams.codec import Codec
from streams.settings import KafkaSettings

NOT_FOUND = 404


class ConfluentRegistry:
    """A Confluent-compatible Schema Registry. Blocks; the client caches both ways."""

    def __init__(self, url: str) -> None:
        # A quarter of a second and 15 MB that a process without a registry need not spend.
        from confluent_kafka.schema_registry import Schema, SchemaRegistryClient, SchemaRegistryError

        self._refused = SchemaRegistryError
        self._schema, self._client = Schema, SchemaRegistryClient({"url": url})

    def id_of(self, name: str, schema: str) -> int:
        """The id of this schema under the subject of its record name; registers it when it is new."""
        return int(self._client.register_schema(name, self._schema(schema, "AVRO")))

    def schema_of(self, schema_id: int) -> str:
        """The schema of an id; LookupError when the registry has none of it."""
        try:
            text = self._client.get_schema(schema_id).schema_str
        except self._refused as error:
            if error.http_status_code == NOT_FOUND:
                raise LookupError(schema_id) from error
            raise
        assert text is not None, "the registry answers with a schema's text"
        return text


def codec(kafka: KafkaSettings) -> Codec:
    """The codec that these settings ask for; reads the registry once, at start."""
    url = kafka.schema_registry_url
    return Codec(ConfluentRegistry(url) if url else None)
