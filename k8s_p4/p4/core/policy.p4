// policy: the verdict of one direction of one endpoint. A template: pipeline.p4 includes it once
// for each policy stage, with
//   POLICY_CONTROL   name of the control        POLICY_STAGE   stage number (ids.p4)
//   POLICY_SLOT      metadata field that takes the slot that decided
//   POLICY_REASON    reason of an allow
//   POLICY_EXCUSED   what an allow excuses from (metadata.excused); EXCUSED_NOT: a stage that stands
//                    behind those that excuse, and leaves the field alone
//   POLICY_SIZE      SIZE_OF_ENDPOINTS or SIZE_OF_HOOKS: how large its tables are
// because a control instantiated twice would give the ids of its tables twice.
//
//   binding    (exact endpoint)                  the chain that governs it, with the default
//                                                variant and the default rule list; bind_host:
//                                                after the host rules (host_rules.p4)
//   self_class (exact chain, own identity)       another variant; a miss keeps the default
//   peer_class (exact variant, peer identity)    another list; a miss keeps the default
//   rules      (ternary list and L4 fields)      allow or deny, with the slot that names the rule;
//                                                pass_on: the chain ends without a verdict
//
// A list's number has two parts: the rows match its low 18 bits, and the high 14 say what was passed and
// logged on the way to it whatever the protocol; chains that differ in that only share the rows. Both parts
// are in the slot told, and both are counted: `hits` by the row's slot, `passes` by the high part.
//
// Everything about addresses, tiers and order of policies was resolved when the rows were made.
// No binding: drop, reason unbound. No rule: drop, reason policy with slot 0.

control POLICY_CONTROL(inout metadata_t meta, in bit<32> endpoint,
                       in bit<32> self_identity, in bit<32> peer_identity) {
    @id(COUNTER_ID(POLICY_STAGE, 01))
    COUNTER(hits, POLICY_SIZE(SLOTS));

    @id(COUNTER_ID(POLICY_STAGE, 02))
    COUNTER(passes, SIZE_PASSES);

    @id(ACTION_ID(POLICY_STAGE, 01))
    action bind(bit<32> chain, bit<32> variant, @name("list") bit<32> rule_list) {
        meta.chain = chain;
        meta.variant = variant;
        meta.rule_list = rule_list;
        meta.behind_host_rules = 0;
    }

    @id(ACTION_ID(POLICY_STAGE, 0b))
    action bind_host(bit<32> chain, bit<32> variant, @name("list") bit<32> rule_list) {
        meta.chain = chain;
        meta.variant = variant;
        meta.rule_list = rule_list;
        meta.behind_host_rules = 1;
    }

    @id(ACTION_ID(POLICY_STAGE, 02))
    action set_variant(bit<32> variant, @name("list") bit<32> rule_list) {
        meta.variant = variant;
        meta.rule_list = rule_list;
    }

    @id(ACTION_ID(POLICY_STAGE, 03))
    action set_list(@name("list") bit<32> rule_list) {
        meta.rule_list = rule_list;
    }

    @id(ACTION_ID(POLICY_STAGE, 04))
    action allow(bit<32> slot) {
        meta.POLICY_SLOT = slot;
        meta.reason = POLICY_REASON;
#if POLICY_EXCUSED
        meta.excused = POLICY_EXCUSED;
#endif
        COUNT_ONCE(hits, slot)
    }

    @id(ACTION_ID(POLICY_STAGE, 05))
    action deny(bit<32> slot) {
        meta.POLICY_SLOT = slot;
        meta.state = STATE_DROP;
        meta.reason = REASON_POLICY;
#if !POLICY_EXCUSED
        meta.filtered = 1;
#endif
        COUNT_ONCE(hits, slot)
    }

    @id(ACTION_ID(POLICY_STAGE, 06))
    action unbound() {
        meta.state = STATE_DROP;
        meta.reason = REASON_UNBOUND;
    }

    @id(ACTION_ID(POLICY_STAGE, 07))
    action keep() {
    }

    @id(ACTION_ID(POLICY_STAGE, 08))
    action no_rule() {
        meta.state = STATE_DROP;
        meta.reason = REASON_POLICY;
#if !POLICY_EXCUSED
        meta.filtered = 1;
#endif
    }

    @id(ACTION_ID(POLICY_STAGE, 09))
    action pass_on(bit<32> slot) {
        meta.POLICY_SLOT = slot;
        COUNT_ONCE(hits, slot)
    }

    // Action 0a is taken: it was `failsafe`. Reserved, see ids.p4.
    @hidden
    action host_rule() {
        meta.POLICY_SLOT = meta.host_slot;
        COUNT_ONCE(hits, meta.host_slot)
    }

    @hidden
    action host_rule_says_why() {
        meta.reason = meta.host_reason;
    }

    @id(TABLE_ID(POLICY_STAGE, 01))
    table binding {
        key = { endpoint: exact @name("endpoint"); }
        actions = { bind; bind_host; @defaultonly unbound; }
        const default_action = unbound();
        size = POLICY_SIZE(BINDING);
    }

    @id(TABLE_ID(POLICY_STAGE, 02))
    table self_class {
        key = {
            meta.chain: exact @name("chain");
            self_identity: exact @name("identity");
        }
        actions = { set_variant; @defaultonly keep; }
        const default_action = keep();
        size = SIZE_SELF_CLASS;
    }

    @id(TABLE_ID(POLICY_STAGE, 03))
    table peer_class {
        key = {
            meta.variant: exact @name("variant");
            peer_identity: exact @name("identity");
        }
        actions = { set_list; @defaultonly keep; }
        const default_action = keep();
        size = POLICY_SIZE(PEER_CLASS);
    }

    @id(TABLE_ID(POLICY_STAGE, 04))
    table rules {
        key = {
            meta.rule_list: ternary @name("list");
            meta.ip_version: ternary @name("ip_version");
            meta.protocol: ternary @name("protocol");
            meta.l4_kind: ternary @name("l4_kind");
            meta.src_port: ternary @name("src_port");
            meta.dst_port: ternary @name("dst_port");
            meta.icmp_type: ternary @name("icmp_type");
            meta.icmp_code: ternary @name("icmp_code");
        }
        actions = { allow; deny; pass_on; @defaultonly no_rule; }
        const default_action = no_rule();
        size = POLICY_SIZE(RULES);
    }

    apply {
        if (binding.apply().hit) {
            if (meta.behind_host_rules == 1 && meta.host_slot != 0) {
                host_rule();
                if (meta.host_reason != REASON_NONE) {
                    host_rule_says_why();
                }
            } else {
                self_class.apply();
                peer_class.apply();
                rules.apply();
                meta.passed = meta.rule_list >> 18;
                COUNT_ONCE(passes, meta.passed)
                meta.rule_list = meta.rule_list & 0xfffc0000;
                meta.POLICY_SLOT = meta.POLICY_SLOT | meta.rule_list;
            }
        }
    }
}

#undef POLICY_CONTROL
#undef POLICY_STAGE
#undef POLICY_SLOT
#undef POLICY_REASON
#undef POLICY_EXCUSED
#undef POLICY_SIZE
