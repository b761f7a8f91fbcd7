"""What the cluster's users are told about their own objects."""
