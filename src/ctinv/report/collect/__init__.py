"""What a report is made of, taken from a study and its denoiser as JSON values; nothing is drawn here."""
