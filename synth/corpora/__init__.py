"""Text to draw: readers, cleaning, strata, and choice by chance."""
