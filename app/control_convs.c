/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 the convd authors
 *
 * Conversations, one by one or by pages. A page walks slots from a cursor: whoever lives through
 * the whole listing keeps its slot, and so is met once; rows that come and go may be seen or not.
 * Looking takes a reference and no more, so no worker waits for it.
 */
#include <arpa/inet.h>
#include <string.h>

#include "control_filter.h"
#include "control_priv.h"

static void
control_row_endpoint(struct control *ctl, struct control_json *out, const char *name,
	const uint8_t addr[16], const struct conv_status *st)
{
	uint16_t port_be = addr == st->key.laddr ? st->key.lport_be : st->key.rport_be;
	struct ip *ip = stack_ip(ctl->conf.stack);
	struct ip_ifc_info info;
	const char *zone = NULL;
	char text[CONTROL_ENDPOINT_LEN];

	if (st->key.zone > 0 && st->key.zone <= ip_ifc_count(ip) && addr[0] == 0xfe) {
		ip_ifc_info(ip, st->key.zone - 1U, &info);
		zone = info.name;
	}
	control_endpoint_text(addr, zone, ntohs(port_be), text);
	control_json_str(out, name, text);
}

/* The columns of `convs`. */
static void
control_row(struct control *ctl, struct control_json *out, struct conv_handle h,
	const struct conv_status *st)
{
	char id[CONTROL_ID_LEN];

	control_id_text(h, id);
	control_json_str(out, "id", id);
	control_json_str(out, "proto", st->proto);
	control_json_str(out, "state", st->state);
	control_row_endpoint(ctl, out, "local", st->key.laddr, st);
	control_row_endpoint(ctl, out, "remote", st->key.raddr, st);
	control_json_u64(out, "recv_queue", st->recv_queue);
	control_json_u64(out, "send_queue", st->send_queue);
	control_json_u64(out, "srtt_us", st->srtt_us);
	control_json_u64(out, "cwnd", st->cwnd);
	control_json_str(out, "listener", st->listener);
	control_json_u64(out, "age_us", st->age_us);
}

/* What `conv ID` shows besides. */
static void
control_row_rest(struct control_json *out, const struct conv_status *st)
{
	control_json_str(out, "service", st->service);
	control_json_u64(out, "idle_us", st->idle_us);
	control_json_u64(out, "bytes_in", st->bytes_in);
	control_json_u64(out, "bytes_out", st->bytes_out);
	control_json_u64(out, "rttvar_us", st->rttvar_us);
	control_json_u64(out, "rto_us", st->rto_us);
	control_json_u64(out, "ssthresh", st->ssthresh);
	control_json_u64(out, "snd_wnd", st->snd_wnd);
	control_json_u64(out, "rcv_wnd", st->rcv_wnd);
	control_json_u64(out, "snd_una", st->snd_una);
	control_json_u64(out, "snd_nxt", st->snd_nxt);
	control_json_u64(out, "rcv_nxt", st->rcv_nxt);
	control_json_u64(out, "mss", st->mss);
	control_json_u64(out, "snd_wscale", st->snd_wscale);
	control_json_u64(out, "rcv_wscale", st->rcv_wscale);
	control_json_u64(out, "retransmits", st->retransmits);
	control_json_bool(out, "timestamps", st->timestamps);
	control_json_bool(out, "sack", st->sack);
	control_json_bool(out, "ecn", st->ecn);
}

/* A node that is to be listed: alive, not reused while it was looked at, and let through. Datagrams
 * that are being joined are no conversations. */
static bool
control_row_wanted(struct control *ctl, struct conv_node *cn, const struct control_filter *f,
	struct conv_status *ret_st)
{
	if (conv_kind(cn) == NODE_FRAGMENTS || conv_dead(cn) || !control_filter_key(f, &cn->n.key))
		return false;
	memset(ret_st, 0, sizeof(*ret_st));
	return stack_conv_status(ctl->conf.stack, cn, ret_st) && control_filter_status(f, ret_st);
}

/* One page, from *slot on; *slot is then where the next one starts. */
static void
control_page(struct control *ctl, const struct control_filter *f, uint32_t *slot, unsigned limit,
	struct control_json *out)
{
	struct stack *s = ctl->conf.stack;
	struct conv_table *ct = stack_convs(s);
	uint64_t until_us = control_now_us() + CONTROL_PAGE_US;
	uint32_t slots = conv_slots(ct), check = *slot;
	unsigned rows = 0, looked = 0;
	struct conv_status st;

	while (rows < limit && *slot < slots) {
		struct conv_node *cn = conv_next(ct, slot, CONTROL_PAGE_SLOTS);

		if (cn != NULL) {
			if (control_row_wanted(ctl, cn, f, &st)) {
				control_json_object(out, NULL);
				control_row(ctl, out, conv_handle(ct, cn), &st);
				control_json_object_end(out);
				rows++;
			}
			conv_put(stack_control(s), cn);
		}
		if (++looked % 64 != 0 && *slot - check < CONTROL_PAGE_SLOTS)
			continue;
		check = *slot;
		if (control_now_us() >= until_us)
			break;
	}
}

static int
control_range(const json_t *req, const char *name, json_int_t lo, json_int_t hi,
	json_int_t *ret_value, struct control_json *out)
{
	const json_t *value = json_object_get(req, name);
	json_int_t n = json_integer_value(value);

	if (value == NULL)
		return 0;
	if (n < lo || n > hi)
		return control_fail(out, CONTROL_INVALID,
			"convs: %s: %" JSON_INTEGER_FORMAT " is not in %" JSON_INTEGER_FORMAT
			"-%" JSON_INTEGER_FORMAT,
			name, n, lo, hi);
	*ret_value = n;
	return 0;
}

int
control_cmd_convs(struct control *ctl, const json_t *req, struct control_json *out)
{
	struct stack *s = ctl->conf.stack;
	const char *text = json_string_value(json_object_get(req, "filter"));
	struct control_filter f = {0};
	json_int_t cursor = 0, limit = CONTROL_PAGE_ROWS;
	char fault[200];
	uint32_t slot;

	if (control_range(req, "cursor", 0, UINT32_MAX, &cursor, out) < 0 ||
		control_range(req, "limit", 1, CONTROL_PAGE_ROWS, &limit, out) < 0)
		return -1;
	if (text != NULL && control_filter_parse(text, &f, fault, sizeof(fault)) < 0)
		return control_fail(out, CONTROL_INVALID, "%s", fault);
	slot = (uint32_t)cursor;
	control_json_array(out, "convs");
	stack_control_online(s);
	control_page(ctl, &f, &slot, (unsigned)limit, out);
	stack_control_offline(s);
	control_json_array_end(out);
	if (slot < conv_slots(stack_convs(s)))
		control_json_u64(out, "next", slot);
	else
		control_json_null(out, "next");
	return 0;
}

/* The "id" of a request. */
static int
control_handle(const json_t *req, struct conv_handle *ret_h, struct control_json *out)
{
	const char *command = json_string_value(json_object_get(req, "command"));
	const char *id = json_string_value(json_object_get(req, "id"));

	if (id == NULL)
		return control_fail(out, CONTROL_INVALID, "%s: id: is missing", command);
	if (!control_id_parse(id, ret_h))
		return control_fail(out, CONTROL_INVALID,
			"%s: id: \"%.40s\" is not SLOT.GENERATION, such as 17.3", command, id);
	return 0;
}

static int
control_gone(const char *command, struct conv_handle h, struct control_json *out)
{
	char id[CONTROL_ID_LEN];

	control_id_text(h, id);
	return control_fail(out, CONTROL_GONE, "%s: %s is gone", command, id);
}

int
control_cmd_conv(struct control *ctl, const json_t *req, struct control_json *out)
{
	static const struct control_filter all;
	struct stack *s = ctl->conf.stack;
	struct conv_node *cn;
	struct conv_status st;
	struct conv_handle h = {0};
	bool found;

	if (control_handle(req, &h, out) < 0)
		return -1;
	stack_control_online(s);
	cn = conv_by_handle(stack_convs(s), h);
	found = cn != NULL && control_row_wanted(ctl, cn, &all, &st);
	if (found) {
		control_json_object(out, "conv");
		control_row(ctl, out, h, &st);
		control_row_rest(out, &st);
		control_json_object_end(out);
	}
	if (cn != NULL)
		conv_put(stack_control(s), cn);
	stack_control_offline(s);
	return found ? 0 : control_gone("conv", h, out);
}

int
control_cmd_hangup(struct control *ctl, const json_t *req, struct control_json *out)
{
	struct stack *s = ctl->conf.stack;
	char id[CONTROL_ID_LEN];
	struct conv_handle h = {0};
	int rc;

	if (control_handle(req, &h, out) < 0)
		return -1;
	stack_control_online(s);
	rc = stack_hangup(s, h);
	stack_control_offline(s);
	if (rc < 0)
		return control_gone("hangup", h, out);
	control_id_text(h, id);
	control_json_object(out, "hangup");
	control_json_str(out, "id", id);
	control_json_object_end(out);
	return 0;
}
