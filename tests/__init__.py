"""The tests: a folder for each room of ``src/limpet``, for attacks, and for the project."""
