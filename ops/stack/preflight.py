"""Names everything that this machine lacks for the local stack, each with the line that installs it.

`python -m ops.stack.preflight` prints it and ends with 0: a hint at installation; `tierflow up` refuses.
"""

import os
import sys
from collections.abc import Callable, Iterator, Mapping

from ops.stack import java, postgres, valkey
from ops.stack.errors import StackError


def lacking(environment: Mapping[str, str]) -> Iterator[StackError]:
    """Yield what is missing. Services whose URL is set are not needed here, nor what was fetched."""
    if not environment.get("KAFKA_BOOTSTRAP_SERVERS"):
        yield from _raised(java.find_java, environment)
        if not java.jar_folder(environment).is_dir():
            yield from _raised(java.find_maven, environment)
    if not environment.get("DATABASE_URL"):
        yield from _raised(lambda _: postgres.find_binaries(), environment)
    if not environment.get("REDIS_URL"):
        yield from _raised(lambda _: valkey.find_server(), environment)


def require(environment: Mapping[str, str]) -> None:
    """StackError that names all that is missing at once."""
    if found := [str(error) for error in lacking(environment)]:
        raise StackError("\n".join(found))


def _raised(
    find: Callable[[Mapping[str, str]], object], environment: Mapping[str, str]
) -> Iterator[StackError]:
    try:
        find(environment)
    except StackError as error:
        yield error


if __name__ == "__main__":
    for each in lacking(os.environ):
        print(f"for `tierflow up`: {each}", file=sys.stderr)
