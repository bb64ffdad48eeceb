//! The AWS wire: generated types, protocols and SigV4. No sockets, no clock.
