"""The status of jobs in Redis: a read model, rebuilt from the topics when it is lost. No truth lives here."""
