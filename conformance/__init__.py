"""Foreign conformance suites, natively and in bundles, compared by name."""
