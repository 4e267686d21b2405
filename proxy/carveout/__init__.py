"""Which transactions to carve out next: their names, what each costs, and the ranking with its evidence."""
