-- One database for each service; nobody joins across them. They compare texts byte by byte: ids are found in less time, and no new
-- version of a language's order makes an index wrong.
CREATE DATABASE argosy_catalog TEMPLATE template0 LC_COLLATE 'C';
CREATE DATABASE argosy_inventory TEMPLATE template0 LC_COLLATE 'C';
CREATE DATABASE argosy_orders TEMPLATE template0 LC_COLLATE 'C';
CREATE DATABASE argosy_fulfillment TEMPLATE template0 LC_COLLATE 'C';
CREATE DATABASE argosy_returns TEMPLATE template0 LC_COLLATE 'C';
CREATE DATABASE argosy_finance TEMPLATE template0 LC_COLLATE 'C';
CREATE DATABASE argosy_gateway TEMPLATE template0 LC_COLLATE 'C';
