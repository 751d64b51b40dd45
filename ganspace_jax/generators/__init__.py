"""Networks from papers, one file each, behind one contract."""
