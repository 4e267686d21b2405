"""The admin port: health, metrics, the API and a page for people. Nothing of it is on the data port."""
