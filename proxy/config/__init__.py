"""What `routes.yaml` says: the model, loading with places, checking across records, the schema, watching."""
