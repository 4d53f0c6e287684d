"""From an image file to uint8 pixels as people see them."""
