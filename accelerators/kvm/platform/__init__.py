"""The platform devices that KVM plays: their saved states, and KVM's structures for them, in both directions."""
