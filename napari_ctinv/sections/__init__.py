"""Sections of the tabs: thin views, each over one model of the session. A new one is one file and one row in `dock.TABS`."""
