"""What do the models build, and what do the migrations? Each on a scratch database, read back from its catalog."""
