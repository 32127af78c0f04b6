"""What can be seen on a picture and should not be there: mosaic, borders, watermarks. Pure functions over arrays."""
