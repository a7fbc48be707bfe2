"""How the real servers of the tests are started, stopped, killed and cut off; most come with the packages."""
