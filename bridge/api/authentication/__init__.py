"""Who asks: tokens of the settings, of a cluster or of an OIDC issuer, and the sessions of browsers that showed one."""
