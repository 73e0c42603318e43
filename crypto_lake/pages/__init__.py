"""One file to look at: the verdicts of a day, the page of a day, the preview in the UI."""
