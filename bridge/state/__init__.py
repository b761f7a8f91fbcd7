"""The state table: everything the loops tell each other goes through Postgres. Only room (with migrations/) that imports sqlalchemy."""
