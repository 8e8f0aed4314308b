"""The figures of a report: each is drawn from the record's content alone, without a study, a model or torch."""
