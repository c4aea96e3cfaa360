"""Starting and stopping the containers in which models run."""
