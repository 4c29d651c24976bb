-- One database for each service; nobody joins across them.
CREATE DATABASE argosy_catalog;
CREATE DATABASE argosy_inventory;
CREATE DATABASE argosy_orders;
CREATE DATABASE argosy_fulfillment;
CREATE DATABASE argosy_returns;
CREATE DATABASE argosy_finance;
CREATE DATABASE argosy_gateway;
