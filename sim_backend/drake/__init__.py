"""The hand and an object in Drake, with compliant (hydroelastic) contact. Extra `drake`."""
