// What became of the answer to a denied packet: metadata `reject`, and the index of the counter `rejects`.
// k8s_p4/rejects.py mirrors this file; a test compares the two.

#ifndef CORE_REJECTS_P4
#define CORE_REJECTS_P4

const bit<8> REJECT_NONE = 0;     // nothing asked for one
const bit<8> REJECT_SENT = 1;
const bit<8> REJECT_FRAGMENT = 2; // a part of a datagram
const bit<8> REJECT_PROTOCOL = 3; // what it carries has no checksum that tells its sum, or can't be reset
const bit<8> REJECT_CHECKSUM = 4; // UDP whose checksum does not cover all of it, or is none
const bit<8> REJECT_LENGTH = 5;   // the answer would be longer than any link is sure to carry
const bit<8> REJECT_ERROR = 6;    // an ICMP error or a RST: nobody answers those
const bit<8> REJECT_ADDRESS = 7;  // from, or to, something that is not one host
const bit<8> REJECT_RATE = 8;     // too many of late
const bit<8> REJECT_NO_WAY = 9;   // no way back to the sender

#endif
