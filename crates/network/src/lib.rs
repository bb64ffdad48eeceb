//! Host networking: namespaces, veth, bridge, addresses and nftables rules.
