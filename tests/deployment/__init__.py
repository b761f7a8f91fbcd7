"""What a site installs: the manifests of config/kubernetes, the roles, the bill of materials."""
