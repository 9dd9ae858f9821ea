"""What the documentation says of the code, made from the code when the site is built."""
