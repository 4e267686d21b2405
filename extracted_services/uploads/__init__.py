"""Image uploads, carved out of the monolith: a bucket, and functions that follow what arrives in it."""
