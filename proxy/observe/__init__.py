"""What is known about requests afterwards: the record of one, the metrics, the access log."""
