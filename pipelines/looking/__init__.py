"""Pictures for people to look at: contact sheets, galleries, histograms."""
