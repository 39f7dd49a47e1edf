"""Where handlers run that would hold up the loop: in threads to wait, in processes to compute."""
