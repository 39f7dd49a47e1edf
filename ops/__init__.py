"""The composition root: what starts, runs and looks after Tierflow. May import every other room."""
