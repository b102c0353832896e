-- The schema needs a superuser for its extension; ready.sql makes the app's role an ordinary one.
CREATE ROLE lab LOGIN SUPERUSER;
CREATE DATABASE lab OWNER lab;
