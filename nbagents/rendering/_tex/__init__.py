"""TeX's mathematics as MathML."""
