"""Amazon EC2: groups as managed prefix lists, rules as entries of the security groups in front of destinations."""

from adapters.aws.adapter import AwsAdapter, AwsFactory

factory = AwsFactory()

__all__ = ["AwsAdapter", "AwsFactory", "factory"]
