"""`inhand view`: the web page of a running hand or of a recording."""
