/* tests/unit/test_url.c: which URLs may be called, and which addresses are public: tables of both. */
#include "config.h"

#include <arpa/inet.h>
#include <check.h>
#include <netinet/in.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/socket.h>
#include <sys/un.h>

#include "handlers/url.h"

static const struct {
	const char *text;
	unsigned flags;
	const char *wrong; /* part of what is said; NULL: it is good */
} urls[] = {
	{"https://shop.example/items", 0, NULL},
	{"http://shop.example:8080/items?a=b", 0, NULL},
	{"HTTPS://Shop.Example", 0, NULL},
	{"http://shop.example/", URL_HTTPS, "https://"},
	{"https://shop.example/", URL_HTTPS, NULL},
	{"http://8.8.8.8/", 0, NULL},
	{"http://[2606:4700::1111]/", 0, NULL},
	{"", 0, "neither"},
	{"shop.example/items", 0, "neither"},
	{"ftp://shop.example/", 0, "neither"},
	{"file:///etc/passwd", 0, "neither"},
	{"gopher://127.0.0.1/", URL_PRIVATE, "neither"},
	{"http:shop.example", 0, "neither"},
	{"http:///items", 0, "host"},
	{"http://", 0, ""},
	{"http://user@shop.example/", 0, "password"},
	{"http://user:pw@shop.example/", 0, "password"},
	{"http://:pw@shop.example/", 0, "password"},
	{"http://shop.example/a b", 0, "blank"},
	{"http://shop.example/\r\nHost: evil", 0, "blank"},
	{"http://shop.example\\@evil.example/", 0, "backslash"},
	{"http://shop.example:99999/", 0, "not a URL"},
	{"http://127.0.0.1/", 0, "not public"},
	{"http://127.0.0.1/", URL_PRIVATE, NULL},
	{"http://127.1/", 0, "not public"},
	{"http://0x7f000001/", 0, "not public"},
	{"http://2130706433/", 0, "not public"},
	{"http://0177.0.0.1/", 0, "not public"},
	{"http://0/", 0, "not public"},
	{"http://10.0.0.1:5432/", 0, "not public"},
	{"http://169.254.169.254/latest/meta-data", 0, "not public"},
	{"http://[::1]/", 0, "not public"},
	{"http://[::ffff:127.0.0.1]/", 0, "not public"},
	{"http://[64:ff9b::a00:1]/", 0, "not public"},
	{"http://[fe80::1%25eth0]/", 0, "not public"},
	{"http://[fe80::1%25eth0]/", URL_PRIVATE, NULL},
	{"http://[fd00::1]/", 0, "not public"},
};

START_TEST(urls_are_checked)
{
	const char *wrong = url_wrong(urls[_i].text, urls[_i].flags);

	if (urls[_i].wrong == NULL)
		ck_assert_msg(wrong == NULL, "%s: %s", urls[_i].text, wrong);
	else
		ck_assert_msg(wrong != NULL && strstr(wrong, urls[_i].wrong) != NULL, "%s: %s", urls[_i].text, wrong == NULL ? "good" : wrong);
}
END_TEST

START_TEST(urls_have_a_longest)
{
	char text[URL_MAX + 2] = "http://shop.example/";

	memset(text + strlen(text), 'a', sizeof text - 1 - strlen(text));
	text[sizeof text - 1] = '\0';
	ck_assert_ptr_nonnull(strstr(url_wrong(text, 0), "longer"));
	text[URL_MAX] = '\0';
	ck_assert_ptr_null(url_wrong(text, 0));
}
END_TEST

static const struct {
	const char *address;
	bool is_public;
} addresses[] = {
	{"8.8.8.8", true}, {"1.0.0.1", true}, {"223.255.255.255", true}, {"9.255.255.255", true}, {"11.0.0.0", true},
	{"100.63.255.255", true}, {"100.128.0.0", true}, {"172.15.255.255", true}, {"172.32.0.0", true}, {"192.0.1.0", true},
	{"198.17.255.255", true}, {"198.20.0.0", true},
	{"0.0.0.0", false}, {"0.255.255.255", false}, {"10.0.0.0", false}, {"10.255.255.255", false}, {"100.64.0.0", false},
	{"100.127.255.255", false}, {"127.0.0.1", false}, {"127.255.255.255", false}, {"169.254.169.254", false},
	{"172.16.0.0", false}, {"172.31.255.255", false}, {"192.0.0.1", false}, {"192.0.2.1", false}, {"192.88.99.1", false},
	{"192.168.0.1", false}, {"198.18.0.1", false}, {"198.19.255.255", false}, {"198.51.100.7", false}, {"203.0.113.7", false},
	{"224.0.0.1", false}, {"239.255.255.255", false}, {"240.0.0.1", false}, {"255.255.255.255", false},
	{"2606:4700::1111", true}, {"2a00:1450:4001::1", true}, {"2001:200::1", true}, {"2001:4860:4860::8888", true},
	{"::", false}, {"::1", false}, {"::7f00:1", false}, {"::808:808", false},
	{"::ffff:8.8.8.8", true}, {"::ffff:127.0.0.1", false}, {"::ffff:10.1.2.3", false}, {"::ffff:169.254.169.254", false},
	{"::ffff:0:127.0.0.1", false}, {"64:ff9b::8.8.8.8", true}, {"64:ff9b::127.0.0.1", false}, {"64:ff9b:1::1", false},
	{"2002:808:808::1", true}, {"2002:7f00:1::1", false}, {"2002:c0a8:101::", false},
	{"2001::1", false}, {"2001:1ff::1", false}, {"2001:db8::1", false}, {"2001:10::1", false}, {"3fff::1", false}, {"3fff:fff::", false},
	{"3fff:1000::", true}, {"fc00::1", false}, {"fdff::1", false}, {"fe80::1", false}, {"fec0::1", false}, {"ff02::1", false},
	{"100::1", false}, {"5f00::1", false}, {"4000::1", false}, {"1fff::1", false},
};

START_TEST(addresses_are_judged)
{
	const char *text = addresses[_i].address;
	struct sockaddr_in v4 = {.sin_family = AF_INET};
	struct sockaddr_in6 v6 = {.sin6_family = AF_INET6};
	bool is_public;

	if (inet_pton(AF_INET, text, &v4.sin_addr) == 1) {
		is_public = url_is_public((const struct sockaddr *)&v4);
	} else {
		ck_assert_msg(inet_pton(AF_INET6, text, &v6.sin6_addr) == 1, "%s", text);
		is_public = url_is_public((const struct sockaddr *)&v6);
	}
	ck_assert_msg(is_public == addresses[_i].is_public, "%s: %s", text, is_public ? "public" : "not public");
}
END_TEST

START_TEST(other_families_are_not_public)
{
	struct sockaddr_un un = {.sun_family = AF_UNIX};

	ck_assert(!url_is_public((const struct sockaddr *)&un));
}
END_TEST

START_TEST(hosts_are_found)
{
	static const char *const pairs[][2] = {
		{"http://Shop.Example./x", "shop.example"}, {"https://[2606:4700::1111]:444/", "2606:4700::1111"}, {"http://0x8.8/", "8.0.0.8"},
		{"http://shop.example:80/", "shop.example"},
	};
	char host[URL_HOST_MAX];

	for (size_t i = 0; i < sizeof pairs / sizeof pairs[0]; i++) {
		ck_assert(url_host(pairs[i][0], host));
		ck_assert_str_eq(host, pairs[i][1]);
	}
	ck_assert(!url_host("http://", host));
}
END_TEST

START_TEST(hosts_are_looked_up_in_a_list)
{
	static const char list[] = "shop.example, *.wide.example,10.0.0.7";

	ck_assert(url_host_listed("shop.example", list));
	ck_assert(url_host_listed("a.wide.example", list));
	ck_assert(url_host_listed("a.b.wide.example", list));
	ck_assert(url_host_listed("10.0.0.7", list));
	ck_assert(!url_host_listed("wide.example", list));
	ck_assert(!url_host_listed("evilwide.example", list));
	ck_assert(!url_host_listed("a.shop.example", list));
	ck_assert(!url_host_listed("shop.example.evil.example", list));
	ck_assert(!url_host_listed("10.0.0.70", list));
	ck_assert(!url_host_listed("x", ""));
	ck_assert(!url_host_listed("x", "*"));
}
END_TEST

static void resolves(const char *base, const char *link, const char *want)
{
	char *got = url_resolve(base, link);

	ck_assert_str_eq(got == NULL ? "none" : got, want);
	free(got);
}

START_TEST(links_are_resolved)
{
	resolves("https://a.example/items?page=1", "/items?page=2", "https://a.example/items?page=2");
	resolves("https://a.example/items?page=1", "?page=2", "https://a.example/items?page=2");
	resolves("https://a.example/v1/items", "more", "https://a.example/v1/more");
	resolves("https://a.example/items", "http://b.example/", "http://b.example/");
	resolves("https://a.example/items", "//b.example/x", "https://b.example/x");
	ck_assert(url_same_origin("https://a.example/x", "https://A.example:443/y"));
	ck_assert(!url_same_origin("https://a.example/x", "http://a.example/x"));
	ck_assert(!url_same_origin("https://a.example/x", "https://a.example:444/x"));
	ck_assert(!url_same_origin("https://a.example/x", "https://b.example/x"));
	ck_assert(!url_same_origin("https://a.example/x", "nonsense://"));
}
END_TEST

static void with(const char *text, const char *name, const char *value, const char *want)
{
	char *got = url_with(text, name, value);

	ck_assert_msg(got != NULL && strcasecmp(got, want) == 0, "%s", got); /* hexadecimal digits have two forms */
	free(got);
}

START_TEST(parameters_are_set)
{
	with("https://a.example/items", "page", "2", "https://a.example/items?page=2");
	with("https://a.example/items?page=1&size=9", "page", "2", "https://a.example/items?size=9&page=2");
	with("https://a.example/items?pages=1", "page", "2", "https://a.example/items?pages=1&page=2");
	with("https://a.example/items?page", "page", "2", "https://a.example/items?page=2");
	with("https://a.example/items", "after", "a&b=c d/é", "https://a.example/items?after=a%26b%3Dc%20d%2F%C3%A9");
}
END_TEST

#define LOOP(tc, test, table) tcase_add_loop_test(tc, test, 0, (int)(sizeof table / sizeof table[0]))

int main(void)
{
	Suite *suite = suite_create("url");
	TCase *tc = tcase_create("pure");
	SRunner *runner = srunner_create(suite);

	LOOP(tc, urls_are_checked, urls);
	LOOP(tc, addresses_are_judged, addresses);
	tcase_add_test(tc, urls_have_a_longest);
	tcase_add_test(tc, other_families_are_not_public);
	tcase_add_test(tc, hosts_are_found);
	tcase_add_test(tc, hosts_are_looked_up_in_a_list);
	tcase_add_test(tc, links_are_resolved);
	tcase_add_test(tc, parameters_are_set);
	suite_add_tcase(suite, tc);
	srunner_run_all(runner, CK_NORMAL);
	int failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
