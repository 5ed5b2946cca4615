"""Where an order goes: venue choice by price, depth and fees."""
