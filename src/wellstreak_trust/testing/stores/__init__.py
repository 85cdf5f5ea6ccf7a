"""Contract suites: what every store of a kind must do; hosts run them against their own."""
