"""The client's side: two doors to one gateway, and what each must be able to do for it."""
