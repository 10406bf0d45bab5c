"""Our networks beside others' of the same purpose, on one core; see the README."""
