"""The parts of the tour: a stage that clicks and waits, a heartbeat that measures, pictures, and one file per station."""
