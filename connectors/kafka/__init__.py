"""Kafka without Faust: creating topics, and producing. Consumers live with the role that needs them."""
