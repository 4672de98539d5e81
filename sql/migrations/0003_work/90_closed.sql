-- Nobody may call anything but those who are told to (grants.sql).
REVOKE EXECUTE ON ALL FUNCTIONS IN SCHEMA jobq FROM PUBLIC;
