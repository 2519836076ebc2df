pub mod p2;
