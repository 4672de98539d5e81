-- Nobody may call anything but those who are told to (grants.sql).
REVOKE ALL ON SCHEMA jobq FROM PUBLIC;
REVOKE EXECUTE ON ALL FUNCTIONS IN SCHEMA jobq FROM PUBLIC;
