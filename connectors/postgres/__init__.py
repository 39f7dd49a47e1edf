"""PostgreSQL: the sink that writes tier-1 jobs and dead letters, the migrations, and the queries on them."""
