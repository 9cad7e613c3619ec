"""One module a subject. Each has ``trial(scale)``, which yields its figures as it measures them."""
